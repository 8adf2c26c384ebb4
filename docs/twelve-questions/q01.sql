SET title = 'Households owed a duty, by month and region';
SET asked = 'england';
SET epsilon = '1/2';
SET unit = 'household';
SET period = 'assessment_date';
SELECT region, assessment_outcome, month(assessment_date), COUNT(DISTINCT household) AS owed
FROM "case"
WHERE assessment_date BETWEEN DATE '2025-10-01' AND DATE '2025-12-31'
GROUP BY region, assessment_outcome, month(assessment_date);
