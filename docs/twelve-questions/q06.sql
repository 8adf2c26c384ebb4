SET title = 'Relief duty in a programme and outside it';
SET asked = 'england';
SET epsilon = '1/2';
SET unit = 'household';
SET period = 'prevention_end';
SELECT main_age_band, household_with_children, reason_loss_group, MATCHED(NAMED('programme', intervention_code = 'programme_01'), NAMED('relief', NOT relief_start IS NULL)) AS programme
FROM "case"
WHERE prevention_end BETWEEN DATE '2025-01-01' AND DATE '2025-12-31'
GROUP BY main_age_band, household_with_children, reason_loss_group;
