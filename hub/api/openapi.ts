/** The OpenAPI 3.1 document at /api/openapi.json, generated from the schemas that validate requests and responses. */
import swagger from '@fastify/swagger';
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { orkestrJsonSchema } from '../../protocol/build-settings.ts';
import { Problem } from '../../protocol/errors.ts';
import type { HubApp } from '../deps.ts';
import { PROBLEM_TYPE } from './problem.ts';

const OPENAPI_PATH = '/api/openapi.json';
/** JSON Schema of orkestr.json, for editors. */
const ORKESTR_SCHEMA_PATH = '/api/orkestr.schema.json';

type Transform = NonNullable<FastifyDynamicSwaggerOptions['transform']>;
type TransformObject = NonNullable<FastifyDynamicSwaggerOptions['transformObject']>;

/** Await it before any route is registered: only later routes appear in the document. */
export async function registerOpenApi(app: HubApp): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'orkestr',
        version: '1',
        description:
          'A git push becomes a running, health-checked container on your own server. A field that a request does not have is refused.',
      },
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', description: 'An API token, `ork_...`.' },
          session: { type: 'apiKey', in: 'cookie', name: 'orkestr_session', description: "The console's session." },
        },
      },
    },
    transform,
    transformObject,
  });
  app.get(OPENAPI_PATH, { schema: { hide: true } }, () => app.swagger());
  app.get(ORKESTR_SCHEMA_PATH, { schema: { hide: true } }, () => orkestrJsonSchema());
}

/** Adds each route's required scope to its description and security. */
const transform: Transform = (input): ReturnType<Transform> => {
  const { schema, url } = jsonSchemaTransform(input);
  const scope = input.route.config?.scope;
  // Routes without a summary (pages, files) are not part of the API.
  if (input.schema?.summary === undefined) return { schema: { ...schema, hide: true }, url };
  if (scope === undefined || scope === 'public') return { schema: { ...schema, security: [] }, url };
  const needs =
    scope === 'any' ? 'Needs any valid token.' : `Needs the scope ${scope.map((one) => `\`${one}\``).join(' or ')}.`;
  const description = [schema.description, needs].filter(Boolean).join('\n\n');
  return { schema: { ...schema, description, security: [{ token: [] }, { session: [] }] }, url };
};

/** Any operation may fail, always with a response of the same shape. */
const transformObject: TransformObject = (document) => {
  if (!('openapiObject' in document)) throw new Error('The document is made as OpenAPI, never as Swagger 2.');
  const { openapiObject } = document;
  const problem = { description: 'A problem (RFC 9457).', content: { [PROBLEM_TYPE]: { schema: problemSchema() } } };
  const paths = Object.fromEntries(
    Object.entries(openapiObject.paths ?? {}).map(([path, item]) => [path, withProblem(item ?? {})]),
  );
  const components = { ...openapiObject.components, responses: { Problem: problem } };
  return { ...openapiObject, paths, components };
};

function withProblem(item: object): object {
  return Object.fromEntries(
    Object.entries(item as Record<string, { responses?: object }>).map(([method, operation]) => [
      method,
      { ...operation, responses: { ...operation.responses, default: { $ref: '#/components/responses/Problem' } } },
    ]),
  );
}

function problemSchema(): object {
  const { $schema: _, ...schema } = z.toJSONSchema(Problem);
  return schema;
}
