SET title = 'Support needs that occur together';
SET asked = 'england';
SET epsilon = '1/2';
SET unit = 'household';
SET period = 'assessment_date';
SELECT need, CO_OCCURRENCE() AS needs, AT_MOST(5)
FROM "support_need"
WHERE assessment_date BETWEEN DATE '2025-10-01' AND DATE '2025-12-31'
GROUP BY need;
