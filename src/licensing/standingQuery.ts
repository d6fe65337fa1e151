import { EVERYTHING, instant, type Wanted } from '../commit/aggregate.ts'
import { sql } from '../database/client.ts'
import { codeOf, userOf } from './id.ts'
import type { StandingState } from './standingState.ts'

/**
 * The progress with its license, in that order, and what the specialization asks. LATERAL … OFFSET 0: one look-up by
 * the key for each.
 */
export const readStandings = ({ ids, slices }: Wanted) => sql`
  select json_build_object('id', w.id, 'version', coalesce(p.version, 0),
    'progress', case when p.id is not null then json_build_object('currentLevel', p."currentLevel", 'totalXp', p."totalXp", 'completedSessions', p."completedSessions",
      'theoryHours', p."theoryHours", 'practiceHours', p."practiceHours") end,
    'license', case when l.id is not null then json_build_object('currentLevel', l."currentLevel", 'maxAchievedLevel', l."maxAchievedLevel", 'issuedAt', l."issuedAt") end,
    'progressions', case when w.everything or p.id is null then (select json_agg(json_build_object('at', c.at, 'version', c.version, 'from', c."from", 'to', c."to",
      'advancedBy', c."advancedBy", 'reason', c.reason) order by c.at, c.version, c."from") from "LicenseProgression" c where c."licenseId" = w.id) end,
    'specialization', s.row,
    'registered', exists (select from "User" u where u.id = w."userId")) as row
  from unnest(${ids}::text[], ${ids.map(userOf)}::text[], ${ids.map(codeOf)}::text[], ${ids.map((id) => slices.get(id)?.includes(EVERYTHING) ?? false)}::boolean[])
    as w (id, "userId", code, everything)
  left join lateral (select * from "SpecializationProgress" p where p.id = w.id offset 0) p on true
  left join lateral (select * from "License" l where l.id = w.id offset 0) l on true
  left join lateral (select json_build_object('maxLevel', s."maxLevel", 'countsHours', s."countsHours",
    'levels', (select json_agg(json_build_object('level', t.level, 'xp', t.xp)) from "SpecializationLevel" t where t.code = s.code)) as row
    from "Specialization" s where s.code = w.code offset 0) s on true`

type StandingRow = Omit<StandingState, 'progressions'> & { readonly progressions: StandingState['progressions'] | null }

/** What `readStandings` returned; also of standings that have not begun, with version 0. */
export const loadStandings = (rows: readonly StandingRow[]): StandingState[] =>
  rows.map(({ license, progressions, specialization, ...row }) => ({
    ...row,
    license: license && { ...license, issuedAt: instant(license.issuedAt) },
    progressions: (progressions ?? []).map((progression) => ({ ...progression, at: instant(progression.at) })),
    specialization: specialization && { ...specialization, levels: specialization.levels ?? [] },
  }))
