/** A container as the engine describes it. */
import type { ContainerInspectInfo } from 'dockerode';
import { type Engine, orNull } from '../lib/engine.ts';

/** @param name its name or id; null if there is none */
export const inspectContainer = (engine: Engine, name: string): Promise<ContainerInspectInfo | null> =>
  orNull(
    engine.call(`inspect container ${name}`, (docker, abortSignal) =>
      docker.getContainer(name).inspect({ abortSignal }),
    ),
  );
