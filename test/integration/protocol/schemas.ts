/** What is written and read of each message, as JSON Schema: data that stays the same when the code changes. */
import { z } from 'zod';
import { AgentMessage, EnrolAnswer, EnrolRequest, HubMessage } from '../../../protocol/agent-link.ts';
import { Job } from '../../../protocol/job.ts';
import { readLines } from './conversation.ts';

/** The part of JSON Schema (draft 2020-12) that zod writes. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly propertyNames?: JsonSchema;
  readonly items?: JsonSchema;
  readonly prefixItems?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly pattern?: string;
  readonly [bound: string]: unknown;
}

const MESSAGES = { HubMessage, AgentMessage, Job, EnrolRequest, EnrolAnswer };
type MessageName = keyof typeof MESSAGES;
export const MESSAGE_NAMES = Object.keys(MESSAGES) as MessageName[];

interface MessageSchemas {
  readonly name: MessageName;
  readonly written: JsonSchema;
  readonly read: JsonSchema;
}

/** Schemas of the current code. */
export const schemasOfToday = (): MessageSchemas[] =>
  MESSAGE_NAMES.map((name) => ({ name, written: toJson(name, 'output'), read: toJson(name, 'input') }));

/** Schemas recorded for a version. */
export const schemasOf = (version: number): MessageSchemas[] => readLines(version, 'schemas.jsonl') as MessageSchemas[];

export function schemasNamed(schemas: readonly MessageSchemas[], name: MessageName): MessageSchemas {
  const found = schemas.find((schema) => schema.name === name);
  if (found === undefined) throw new Error(`There is no ${name}.`);
  return found;
}

/** A reader of that version: throws for whatever it refuses. */
export function readerOf(version: number, name: MessageName): (value: unknown) => void {
  const schema = z.fromJSONSchema(
    schemasNamed(schemasOf(version), name).read as Parameters<typeof z.fromJSONSchema>[0],
  );
  return (value) => {
    const read = schema.safeParse(value);
    if (!read.success) {
      throw new Error(
        `Protocol ${version} refuses this ${name}: ${JSON.stringify(value)}\n${z.prettifyError(read.error)}`,
      );
    }
  };
}

function toJson(name: MessageName, io: 'input' | 'output'): JsonSchema {
  return z.toJSONSchema(MESSAGES[name], {
    io,
    override({ zodSchema, jsonSchema }) {
      // A reader with a fallback refuses nothing.
      if (io === 'input' && zodSchema._zod.def.type === 'catch') {
        for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
      }
    },
  }) as JsonSchema;
}
