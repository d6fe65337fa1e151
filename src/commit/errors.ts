/**
 * A request was understood, but refused. Unless it says otherwise, nothing was changed. The client receives the reason
 * as a message, and in the error's own fields for programs.
 */
export abstract class DomainError extends Error {
  /** Stable, made from the class name: `VERSION_CONFLICT` for `VersionConflict`. */
  readonly code: string
  constructor(message: string) {
    super(message)
    this.name = new.target.name
    this.code = new.target.name.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()
  }
}

/** The root is not at the expected version: it has changed since the caller read it. */
export class VersionConflict extends DomainError {
  readonly expectedVersion: number
  readonly currentVersion: number
  /** The root's current view. */
  readonly current: object
  /** The root's table; also the name of its GraphQL type. */
  readonly rootType: string
  constructor(expectedVersion: number, rootType: string, current: { readonly version: number }) {
    super(
      `You expected version ${expectedVersion}, but the current version is ${current.version}. ` +
        `Review what changed, then send the request again with expectedVersion: ${current.version}.`,
    )
    this.expectedVersion = expectedVersion
    this.currentVersion = current.version
    this.rootType = rootType
    this.current = current
  }
}

/** The key was used for another operation, or with other arguments. Each request needs a key of its own. */
export class IdempotencyKeyReused extends DomainError {
  readonly idempotencyKey: string
  constructor(idempotencyKey: string) {
    super(
      `The idempotency key ${JSON.stringify(idempotencyKey)} was already used for another request. ` +
        'Use a new key for each new request.',
    )
    this.idempotencyKey = idempotencyKey
  }
}

/** The caller is not allowed to do this, or to know whether the object exists. */
export class Forbidden extends DomainError {}

/** The caller is not signed in, or the session has ended. */
export class Unauthenticated extends DomainError {
  constructor(
    message = 'Sign in first: send the header `Authorization: Bearer <token>` with a token that has not ended.',
  ) {
    super(message)
  }
}

/** The input is not valid. */
export class InvalidInput extends DomainError {
  /** The path of the argument, such as `input.idempotencyKey`. */
  readonly field: string
  constructor(field: string, message: string) {
    super(message)
    this.field = field
  }
}

/** Nothing was changed, and the same request may succeed if it is sent again after `retryAfterMs` milliseconds. */
abstract class Retryable extends DomainError {
  readonly retryAfterMs: number
  constructor(message: string, retryAfterMs: number) {
    super(message)
    this.retryAfterMs = retryAfterMs
  }
}

/** Another change of the same object took too long, or the database has too much to do. */
export class Busy extends Retryable {
  constructor(retryAfterMs = 1_000) {
    super('Another change to this is taking too long. Nothing was changed. Try again in a moment.', retryAfterMs)
  }
}

/** The database can't be reached, is restarting, or accepts no more connections. */
export class Unavailable extends Retryable {
  constructor(retryAfterMs = 2_000) {
    super('The database cannot be reached at the moment. Nothing was changed. Try again in a moment.', retryAfterMs)
  }
}

/**
 * The connection was lost during COMMIT, and the database could not say whether the change was committed. With a key
 * the request can be sent again safely.
 */
export class OutcomeUnknown extends DomainError {
  constructor() {
    super(
      'The connection to the database was lost during the commit, so it is not known whether the change was made. ' +
        'With an idempotencyKey, send the same request again; without one, check first.',
    )
  }
}

/** Something went wrong on our side. The log has the cause, under the request's id. */
export class OperationFailed extends DomainError {
  readonly requestId: string
  /** `problem` is a sentence. */
  constructor(problem: string, requestId: string) {
    super(`${problem} Nothing was changed. Please try again. If it happens again, send us the request id ${requestId}.`)
    this.requestId = requestId
  }
}
