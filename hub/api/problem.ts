/** Turns every failure of the API into an RFC 9457 problem document with a code of protocol/errors.ts. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { OrkestrError, toErrorReport, toProblem } from '../../protocol/errors.ts';
import type { HubApp } from '../deps.ts';
import { RETRY_AFTER } from '../concurrency-limit.ts';
import { storeTrouble } from '../store/database.ts';

export const PROBLEM_TYPE = 'application/problem+json';

export function registerProblems(app: HubApp): void {
  app.setErrorHandler((error, request, reply) => sendProblem(request, reply, toOrkestrError(error, request)));
}

/** For requests that fail before routing, for example a path with an invalid escape. */
export const answerUnroutable = (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void =>
  void sendProblem(request, reply, toOrkestrError(error, request));

/** Responds with `error`. Also for handlers of unknown paths. */
export function sendProblem(request: FastifyRequest, reply: FastifyReply, error: OrkestrError): FastifyReply {
  const problem = toProblem(toErrorReport(error));
  if (problem.status >= 500) request.log.error({ err: error, url: request.url }, 'request failed');
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="orkestr"');
  if ((problem.status === 429 || problem.code === 'ORK_HUB_BUSY') && !reply.hasHeader('retry-after'))
    reply.header('retry-after', RETRY_AFTER);
  return reply.code(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem));
}

function toOrkestrError(error: unknown, request: FastifyRequest): OrkestrError {
  if (error instanceof OrkestrError) return error;
  if (hasZodFastifySchemaValidationErrors(error)) {
    const where = error.validationContext ?? 'request';
    const fields = error.validation.map(({ instancePath, message }) => {
      const field = [where, ...instancePath.split('/').filter(Boolean)].join('.');
      return `${field}: ${message ?? 'not valid'}`;
    });
    return invalid(fields);
  }
  return storeTrouble(error) ?? fromFastify(error as Partial<FastifyError>, request);
}

/** ORK_INVALID with one line per field. */
export function invalid(fields: readonly string[]): OrkestrError {
  return new OrkestrError('ORK_INVALID', `The request is not valid: ${fields.slice(0, 3).join('; ')}.`, {
    evidence: fields,
  });
}

/**
 * Client errors that Fastify detects before a handler runs (body too large, not JSON, ...); anything else is a bug of
 * ours.
 */
function fromFastify(error: Partial<FastifyError>, request: FastifyRequest): OrkestrError {
  const status = error.statusCode ?? 500;
  if (status === 413) {
    const limit = request.routeOptions.bodyLimit;
    return new OrkestrError('ORK_TOO_LARGE', `The body is larger than ${limit} bytes.`, { cause: error });
  }
  if (status >= 400 && status < 500) {
    return new OrkestrError('ORK_INVALID', `The request cannot be read: ${error.message}.`, { cause: error });
  }
  // The message of a bug may contain anything: it goes to the log under the request's id, not to the client.
  return new OrkestrError('ORK_INTERNAL', 'Something went wrong in the hub.', {
    evidence: [`request: ${request.id}`],
    cause: error,
  });
}
