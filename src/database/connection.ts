/**
 * How pg connects to this address with these session settings, given as PostgreSQL's command line options. Options that
 * the address has come first; by itself, pg would let them replace ours.
 */
export function connectionTo(url: string, settings: string): { connectionString: string; options: string } {
  if (!URL.canParse(url)) return { connectionString: url, options: settings }
  const address = new URL(url)
  const own = address.searchParams.getAll('options')
  if (!own.length) return { connectionString: url, options: settings }
  address.searchParams.delete('options')
  return { connectionString: address.href, options: [...own, settings].join(' ') }
}
