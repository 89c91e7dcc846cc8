/** For tests: ports that answer what the test scripted, and throw on every other call. */
import type { Ports } from './ports.ts';
import { BaseImages } from '../detect/base-images.ts';
import { systemClock } from '../lib/clock.ts';

/** An object with these members only; access to any other throws and names it. */
export function scripted<T extends object>(name: string, members: Partial<T>): T {
  return new Proxy(members, {
    get(target, key) {
      if (Reflect.has(target, key)) return Reflect.get(target, key) as unknown;
      throw new Error(`unscripted: ${name}.${String(key)}`);
    },
  }) as T;
}

/** Ports whose every unscripted use throws and names the call. */
export const scriptedPorts = (given: Partial<Ports> = {}): Ports => ({
  sourceControl: scripted('sourceControl', {}),
  builder: scripted('builder', {}),
  images: scripted('images', {}),
  registry: scripted('registry', {}),
  containers: scripted('containers', {}),
  proxy: scripted('proxy', {}),
  workspaces: scripted('workspaces', {}),
  clock: systemClock,
  baseImages: BaseImages.parse({}),
  ...given,
});
