import type { Module } from './api/module.ts'
import { identity } from './identity/module.ts'
import { learning } from './learning/module.ts'
import { licensing } from './licensing/module.ts'
import { planning } from './planning/module.ts'

/** The modules. To add one, add its line here; see docs/adding-a-module.md. */
export const modules: readonly Module[] = [identity, learning, planning, licensing]
