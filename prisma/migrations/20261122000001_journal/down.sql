drop function lockstep_forget_keys();
drop function lockstep_forget_history();
drop table "IdempotencyKey";
drop table "Event";
