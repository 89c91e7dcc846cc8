/** The general engine: node's parser in front, and http-proxy behind a guard per exchange. */
import type { Clock } from '../clock.ts';
import type { Limits, Timeouts } from '../config.ts';
import { Compressors } from '../policy/compression.ts';
import type { Route } from '../routing/route.ts';
import { makeEngine } from './engine.ts';
import type { Exchange } from './exchange.ts';
import { Guard } from './guard.ts';
import { H2cAgents } from './h2c-agent.ts';
import { Agents } from './agents.ts';

export interface General {
  /**
   * Claims a target and takes over the exchange: the client gets a response, and the claim is released exactly once.
   * Never throws.
   */
  forward(exchange: Exchange, route: Route): void;
  /** Closes idle connections to all targets. */
  close(): void;
}

/** Opens no connection before the first request. */
export function makeGeneral(limits: Limits, timeouts: Timeouts, clock: Clock): General {
  const tools = {
    engine: makeEngine(),
    agents: new Agents(limits, timeouts),
    h2c: new H2cAgents(timeouts, clock),
    compressors: new Compressors(),
    timeouts,
    clock,
  };
  return {
    forward: (exchange, route) => new Guard(exchange, route, tools).start(),
    close: () => {
      tools.agents.close();
      tools.h2c.close();
    },
  };
}
