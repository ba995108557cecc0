create schema competitions;
grant usage on schema competitions to palio_app;
