import type pg from 'pg'

/** The advisory lock of the process that makes the database. */
const making = 7_270_736_902

/**
 * Makes the role and the database `lockstep`, where they are missing. The role's password is the superuser's, as
 * PostgreSQL keeps it: nothing that can be read is sent over the connection or written to a log.
 */
export async function makeDatabase(client: pg.Client): Promise<void> {
  await client.query('select pg_advisory_lock($1)', [making])
  await client.query(`
    do $$ begin
      if not exists (select from pg_roles where rolname = 'lockstep') then
        execute format('create role lockstep login createdb password %L',
          (select rolpassword from pg_authid where rolname = 'postgres'));
        grant pg_monitor, pg_checkpoint to lockstep;
      end if;
    end $$`)
  const { rowCount } = await client.query("select from pg_database where datname = 'lockstep'")
  if (!rowCount) await client.query('create database lockstep owner lockstep')
  await client.query('select pg_advisory_unlock($1)', [making])
}
