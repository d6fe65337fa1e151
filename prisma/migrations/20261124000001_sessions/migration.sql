create index "Session_expiresAt_idx" on "Session" ("expiresAt");
