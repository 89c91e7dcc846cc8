/** Which base images fixture apps are built on. */
import { BaseImages } from '../../agent/detect/base-images.ts';
import type { BaseImageKind } from '../../installer/prepare/base-images.ts';
import { planOf } from '../fixtures/plan-of.ts';

/** The kinds that these apps' Dockerfiles start from, with Node.js on the `node` line. */
export async function kindsOf(fixtures: readonly string[], node: string | undefined): Promise<BaseImageKind[]> {
  const plans = await Promise.all(fixtures.map(planOf));
  const taken = new Set(plans.flatMap(({ dockerfile }) => dockerfile.text.split(/\s+/)));
  const names = Object.entries(BaseImages.parse({})) as [keyof BaseImages, string][];
  const kinds: BaseImageKind[] = names.filter(([, name]) => taken.has(name)).map(([kind]) => kind);
  return node === undefined ? kinds : [...kinds, `node:${node}`];
}
