/**
 * A request that was understood and is not carried out. Nothing has changed; the client is told why, in words and, by
 * the error's own fields, in a form that a program can use.
 */
export abstract class DomainError extends Error {
  /** Stable, in capitals: `VERSION_CONFLICT` for `VersionConflict`. */
  readonly code: string
  constructor(message: string) {
    super(message)
    this.name = new.target.name
    this.code = new.target.name.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()
  }
}

/** The caller saw another version than the one that is now there. */
export class VersionConflict extends DomainError {
  readonly expectedVersion: number
  readonly currentVersion: number
  /** What is there now, as the root's view. */
  readonly current: object
  /** The root's table, which is also its type in the API. */
  readonly rootType: string
  constructor(expectedVersion: number, rootType: string, current: { readonly version: number }) {
    super(
      `You saw version ${expectedVersion}, it is now at version ${current.version}. Look at what changed, then ask again with expectedVersion: ${current.version}.`,
    )
    this.expectedVersion = expectedVersion
    this.currentVersion = current.version
    this.rootType = rootType
    this.current = current
  }
}

/** A key names one request for ever: another operation or other arguments need another key. */
export class IdempotencyKeyReused extends DomainError {
  readonly idempotencyKey: string
  constructor(idempotencyKey: string) {
    super(
      `The idempotency key ${JSON.stringify(idempotencyKey)} was already used for another request. Use a new key for each new request.`,
    )
    this.idempotencyKey = idempotencyKey
  }
}

/** The caller may not do this, or may not know whether there is anything to do it to. */
export class Forbidden extends DomainError {}

/** The caller hasn't said who they are, or their session has ended. */
export class Unauthenticated extends DomainError {
  constructor(
    message = 'Sign in first: send the header `Authorization: Bearer <token>` with a token that has not ended.',
  ) {
    super(message)
  }
}

/** What was asked can't be meant. */
export class InvalidInput extends DomainError {
  /** The argument, as `input.idempotencyKey`. */
  readonly field: string
  constructor(field: string, message: string) {
    super(message)
    this.field = field
  }
}

/** Nothing has changed, and the same request may succeed if it is sent again. */
abstract class Retryable extends DomainError {
  readonly retryAfterMs: number
  constructor(message: string, retryAfterMs: number) {
    super(message)
    this.retryAfterMs = retryAfterMs
  }
}

/** Somebody else has been changing the same thing for too long. */
export class Busy extends Retryable {
  constructor(retryAfterMs = 1_000) {
    super(
      'Somebody else has been changing this for too long. Nothing was changed; try again in a moment.',
      retryAfterMs,
    )
  }
}

/** The database can't be reached, or is restarting. */
export class Unavailable extends Retryable {
  constructor(retryAfterMs = 2_000) {
    super('The database cannot be reached just now. Nothing was changed; try again in a moment.', retryAfterMs)
  }
}

/**
 * The connection was lost while the change was being committed, there was no key, and the database could not say what
 * became of it.
 */
export class OutcomeUnknown extends DomainError {
  constructor() {
    super(
      'The connection to the database was lost during the commit, and it could not be found out whether the change was made. Look before you try again; with an idempotencyKey this cannot happen.',
    )
  }
}

/** Something went wrong on our side. What, is in the log under the request's id. */
export class OperationFailed extends DomainError {
  readonly requestId: string
  constructor(what: string, requestId: string) {
    super(`${what} Nothing was changed. Please try again; if it happens again, tell us the request id ${requestId}.`)
    this.requestId = requestId
  }
}
