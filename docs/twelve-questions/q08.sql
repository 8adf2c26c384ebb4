SET title = 'Days in bed and breakfast';
SET asked = 'england';
SET epsilon = '1/2';
SET unit = 'household';
SET period = 'start';
SELECT region, QUANTILE(CLAMP(DAYS(start, end, DATE '2026-01-31'), 0, 180), STEPS(1, 180, 1), PROBABILITIES('1/2', '9/10')) AS days
FROM "ta_placement"
WHERE start BETWEEN DATE '2025-01-01' AND DATE '2025-12-31'
  AND ta_type = 'bed_and_breakfast'
GROUP BY region;
SELECT region, DISTRIBUTION(CLAMP(DAYS(start, end, DATE '2026-01-31'), 0, 180), EDGES(43)) AS over_six_weeks
FROM "ta_placement"
WHERE start BETWEEN DATE '2025-01-01' AND DATE '2025-12-31'
  AND ta_type = 'bed_and_breakfast'
GROUP BY region;
