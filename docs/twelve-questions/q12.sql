SET title = 'How complete the records are, and do totals agree';
SET asked = 'england';
SET epsilon = '1/2';
SET unit = 'household';
SET period = 'assessment_date';
SELECT MISSING(NAMED('application_date', application_date IS NULL), NAMED('main_age_band', main_age_band = 'not_known'), NAMED('reason_loss', reason_loss = 'not_known'), NAMED('dependent_children', dependent_children_n IS NULL)) AS complete
FROM "case"
WHERE assessment_date BETWEEN DATE '2025-10-01' AND DATE '2025-12-31';
SELECT assessment_outcome, COUNT(DISTINCT household) AS totals
FROM "case"
WHERE assessment_date BETWEEN DATE '2025-10-01' AND DATE '2025-12-31'
GROUP BY assessment_outcome;
SELECT DISTRIBUTION(CLAMP(1, 1, 4), EDGES(2, 3, 4)) AS applications
FROM "case"
WHERE assessment_date BETWEEN DATE '2025-10-01' AND DATE '2025-12-31';
