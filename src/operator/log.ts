/** Where this process reports what it does: an object with the details first (an error as `err`), then a sentence. */
export interface Log {
  debug(detail: object, message: string): void
  info(detail: object, message: string): void
  warn(detail: object, message: string): void
  error(detail: object, message: string): void
}
