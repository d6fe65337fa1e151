// @ts-check

/** What all of its keys begin with: other pages of the same origin keep things there too. */
const OWN = /^lockstep-[0-9a-f]{12}:/

/**
 * Where GraphiQL keeps its tabs: those of other examples, such as an older version's, are not found.
 *
 * @param {Storage} storage of the browser
 * @param {string} id of the examples: 12 hexadecimal digits
 */
export function storageOf(storage, id) {
  /** @param {string} name */
  const keyOf = (name) => `lockstep-${id}:${name}`
  return {
    /** @param {string} name */
    getItem: (name) => storage.getItem(keyOf(name)),
    /**
     * @param {string} name
     * @param {string} value
     */
    setItem: (name, value) => storage.setItem(keyOf(name), value),
    /** @param {string} name */
    removeItem: (name) => storage.removeItem(keyOf(name)),
    /** Removes what GraphiQL keeps, with that of older examples, which may have tokens. */
    clear() {
      for (const key of Object.keys(storage)) if (OWN.test(key)) storage.removeItem(key)
    },
    get length() {
      return storage.length
    },
  }
}
