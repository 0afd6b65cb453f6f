-- The application's user and database; carried out after each start, changes nothing that is as it should be.
-- Passwords come from the environment of psql. They travel in statements, so these leave no trace in logs and statistics.
\set ON_ERROR_STOP on
\set QUIET on
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SET pg_stat_statements.track_utility = off;
\getenv password SLIPSTREAM_DATABASE_PASSWORD

SELECT 'CREATE ROLE slipstream_app' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'slipstream_app') \gexec
ALTER ROLE slipstream_app LOGIN NOSUPERUSER NOCREATEROLE NOREPLICATION :createdb PASSWORD :'password';
-- For requests. Migrations, management commands and workers lift these for themselves: nobody waits for them.
ALTER ROLE slipstream_app SET statement_timeout = :'statement_timeout';
ALTER ROLE slipstream_app SET idle_in_transaction_session_timeout = :'idle_in_transaction_timeout';

SELECT 'CREATE DATABASE site OWNER slipstream_app' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'site') \gexec
-- The site's database is its owner's alone; the others are the tool's.
REVOKE ALL ON DATABASE site, postgres, template1 FROM PUBLIC;
\connect site
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
