SET title = 'Relief duty after a payment and without one';
SET asked = 'england';
SET epsilon = '1/2';
SET unit = 'household';
SET period = 'prevention_end';
SELECT main_age_band, household_with_children, prior_approach_24m, MATCHED(NAMED('payment', prevention_activity IN ('helped_with_payment', 'discretionary_housing_payment', 'other_payment')), NAMED('relief', NOT relief_start IS NULL)) AS payment
FROM "case"
WHERE prevention_end BETWEEN DATE '2025-01-01' AND DATE '2025-12-31'
GROUP BY main_age_band, household_with_children, prior_approach_24m;
