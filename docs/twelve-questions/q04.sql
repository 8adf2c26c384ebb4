SET title = 'From prevention to relief to the main duty';
SET asked = 'england';
SET epsilon = '1/2';
SET unit = 'household';
SET period = 'prevention_start';
SELECT PATHWAY(NAMED('prevention', NOT prevention_start IS NULL), NAMED('relief', NOT relief_start IS NULL), NAMED('main_duty', main_duty_decision = 'accepted')) AS path
FROM "case"
WHERE prevention_start BETWEEN DATE '2025-01-01' AND DATE '2025-12-31';
