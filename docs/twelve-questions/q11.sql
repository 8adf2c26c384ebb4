SET title = 'What a night in temporary accommodation costs';
SET asked = 'england';
SET epsilon = '1/2';
SET unit = 'household';
SET period = 'start';
SELECT ta_type, WEIGHTED_MEAN(CLAMP(nightly_cost_gbp, 0, 200), CLAMP(DAYS(start, end, DATE '2026-01-31'), 0, 180)) AS cost, AT_MOST(2)
FROM "ta_placement"
WHERE start BETWEEN DATE '2025-01-01' AND DATE '2025-12-31'
GROUP BY ta_type;
