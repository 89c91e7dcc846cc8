/** Load on a proxy. The result is the number of answered requests, or an error that names those that were not. */
import type { Lab } from '../lab.ts';
import type { RunningProxy } from '../proxies/contract.ts';

/** @returns answered requests. @throws Error when a request was not answered, or not in full */
export type Load = (lab: Lab, proxy: RunningProxy, seconds: number) => Promise<number>;

export interface Request {
  readonly path: string;
  readonly method?: 'GET' | 'POST';
  /** Size of the request's body. */
  readonly bodyBytes?: number;
  /** Size of the response's body. */
  readonly answerBytes: number;
  readonly secure?: boolean;
  readonly connections: number;
}
