/**
 * Names and passwords in front of an environment (RFC 7617). Only in the general engine: the first request with a
 * password waits for scrypt, which runs on another thread; later ones find it in a cache.
 */
import { clientNetwork } from '../../protocol/client-network.ts';
import type { EdgeSettings } from '../../protocol/edge.ts';
import { APP_UNAVAILABLE, pageAnswer, PASSWORD_NEEDED, TOO_MANY_REQUESTS } from '../http/pages.ts';
import type { Answer, Failure } from '../http/pages.ts';
import { challengeToken } from './challenge.ts';
import type { PolicyDeps } from './compile.ts';
import { makeUsers } from './password-check.ts';
import type { PasswordCheck, Verdict } from './password-check.ts';
import type { Asked } from './policy.ts';

export interface Access {
  /** Null: the client may go on. Called after the route's policy, so that refused clients and floods cost no scrypt. */
  judge(asked: Asked): Answer | null | Promise<Answer | null>;
  /** Lower-case names of request fields that are withheld from the app: the password is ours. */
  readonly hides: readonly string[];
}

export interface AccessDeps extends Pick<PolicyDeps, 'isOpenChallenge'> {
  /** Survives flips; one per process. */
  readonly passwords: PasswordCheck;
}

const ASK = ['WWW-Authenticate', 'Basic realm="restricted", charset="UTF-8"'];

/** @returns null when no password is required */
export function compileAccess(edge: EdgeSettings, { passwords, isOpenChallenge }: AccessDeps): Access | null {
  if (edge.basicAuth.length === 0) return null;
  const users = makeUsers(edge.basicAuth);
  const answer = (verdict: Verdict, asked: Asked): Answer | null => {
    const failure = failureOf(verdict);
    return failure && pageAnswer(failure.page, asked.header('accept'), edge.errorPages, failure.headers);
  };
  return {
    hides: ['authorization'],
    judge: (asked) => {
      const token = challengeToken(asked.target);
      if (token !== null && isOpenChallenge?.(token) === true) return null;
      const verdict = passwords.check(users, asked.header('authorization'), clientNetwork(asked.clientAddress));
      return verdict instanceof Promise ? verdict.then((one) => answer(one, asked)) : answer(verdict, asked);
    },
  };
}

function failureOf(verdict: Verdict): { page: Failure; headers: string[] } | null {
  if (verdict.is === 'right') return null;
  if (verdict.is === 'wrong') return { page: PASSWORD_NEEDED, headers: ASK };
  const [page, waitMs] = verdict.is === 'often' ? [TOO_MANY_REQUESTS, verdict.waitMs] : [APP_UNAVAILABLE, 1000];
  return { page, headers: ['Retry-After', String(Math.ceil(waitMs / 1000))] };
}
