drop index "Session_expiresAt_idx";
