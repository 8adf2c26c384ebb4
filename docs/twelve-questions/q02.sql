SET title = 'Reasons for losing the last home, by quarter';
SET asked = 'england';
SET epsilon = '1/2';
SET unit = 'household';
SET period = 'assessment_date';
SELECT reason_loss_group, household_with_children, quarter(assessment_date), COUNT(DISTINCT household) AS reasons
FROM "case"
WHERE assessment_date BETWEEN DATE '2025-01-01' AND DATE '2025-12-31'
  AND assessment_outcome IN ('prevention_owed', 'relief_owed')
GROUP BY reason_loss_group, household_with_children, quarter(assessment_date);
