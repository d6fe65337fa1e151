/** Creates `is_snapshot(text)`: whether PostgreSQL reads the text as a snapshot. 15 has no pg_input_is_valid. */
export const isSnapshotFunction = `create function is_snapshot(text) returns boolean language plpgsql as $$
  begin
    perform $1::pg_snapshot;
    return true;
  exception when data_exception then
    return false;
  end $$`
