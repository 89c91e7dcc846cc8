/** Load on a proxy: how many requests were answered, or an error that says which were not. */
import type { Lab } from '../lab.ts';
import type { RunningProxy } from '../proxies/contract.ts';

/** @returns answered requests. @throws Error when one was not answered, or not in full */
export type Load = (lab: Lab, proxy: RunningProxy, seconds: number) => Promise<number>;

export interface Request {
  readonly path: string;
  readonly method?: 'GET' | 'POST';
  /** Of the request's body. */
  readonly bodyBytes?: number;
  /** Of the answer's body. */
  readonly answerBytes: number;
  readonly secure?: boolean;
  readonly connections: number;
}
