SET title = 'How long households wait for a settled home';
SET asked = 'england';
SET epsilon = '1/2';
SET unit = 'household';
SET period = 'relief_start';
SELECT household_with_children, SURVIVAL(CLAMP(DAYS(relief_start, relief_end, DATE '2026-01-31'), 0, 364), STEPS(7, 364, 7), NAMED('settled_home', relief_end_reason = 'secured')) AS wait
FROM "case"
WHERE relief_start BETWEEN DATE '2025-01-01' AND DATE '2025-12-31'
GROUP BY household_with_children;
