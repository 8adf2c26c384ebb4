SET title = 'People leaving prison and hospital, and relief within seven days';
SET asked = 'england';
SET epsilon = '1/2';
SET unit = 'household';
SET period = 'assessment_date';
SELECT region, referral_source, COUNT(DISTINCT household) AS sources
FROM "case"
WHERE assessment_date BETWEEN DATE '2025-10-01' AND DATE '2025-12-31'
  AND referral_source IN ('adult_prison', 'hospital', 'mental_health_inpatient')
GROUP BY region, referral_source;
SELECT referral_source, DISTRIBUTION(CLAMP(DAYS(application_date, relief_start), 0, 60), EDGES(8)) AS within_seven_days
FROM "case"
WHERE assessment_date BETWEEN DATE '2025-10-01' AND DATE '2025-12-31'
  AND referral_source IN ('adult_prison', 'hospital', 'mental_health_inpatient')
GROUP BY referral_source;
