SET title = 'When people sleeping rough are met';
SET asked = 'england';
SET epsilon = '1/2';
SET unit = 'household';
SET period = 'at';
SELECT weekday, time_block, COUNT(*) AS pattern, AT_MOST(5)
FROM "event"
WHERE at BETWEEN DATE '2025-01-01' AND DATE '2025-12-31'
  AND kind = 'rough_sleeping_contact'
GROUP BY weekday, time_block;
