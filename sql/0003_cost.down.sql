-- 0003_cost, undone.
SET LOCAL search_path = upload_pipeline, public;
DROP FUNCTION usage_report(date, date, text, boolean, int);
DROP FUNCTION current_is_operator();
DROP FUNCTION release_budget_waits(bigint, bigint, int);
DROP FUNCTION expire_reservations(int);
DROP FUNCTION settle_search(text, text, text, bigint, bigint, text);
DROP FUNCTION settle_cost(text[], int[], uuid[], uuid[], uuid[], text[], text[], text[], bigint[], bigint[], text[],
    boolean[], text[]);
DROP FUNCTION reserve_cost(text, text, text, text, bigint, boolean, bigint, bigint, uuid[], uuid[], uuid[], bigint[],
    bigint[], bigint[]);
DROP FUNCTION note_budget(date, uuid, smallint, numeric, numeric);
DROP FUNCTION budget_used_by(date, uuid);
DROP FUNCTION budget_used(date);
DROP FUNCTION utc_day();
DROP TABLE budget_notices;
DROP TABLE budget_waits;
DROP TABLE usage_reservations;
DROP TABLE usage_days;
DROP TABLE usage_daily;
DROP TABLE usage_ledger;
