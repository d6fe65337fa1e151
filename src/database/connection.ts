/** The settings of every session. Prisma's own statements name the schema `public`; ours must find the same tables. */
const ALWAYS = '-c TimeZone=UTC -c search_path=public'

/**
 * How pg connects to this address with these settings of the session, given as PostgreSQL's command line options.
 * Options that the address has come first, so that ours hold; by itself, pg would let them replace ours.
 */
export function connectionTo(url: string, settings: string): { connectionString: string; options: string } {
  const ours = `${ALWAYS} ${settings}`
  if (!URL.canParse(url)) return { connectionString: url, options: ours }
  const address = new URL(url)
  const own = address.searchParams.getAll('options')
  if (!own.length) return { connectionString: url, options: ours }
  address.searchParams.delete('options')
  return { connectionString: address.href, options: [...own, ours].join(' ') }
}
