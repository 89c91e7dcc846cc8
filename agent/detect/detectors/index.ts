/** All detectors. Of two that are as sure the earlier one decides. */
import type { Detector } from '../detector.ts';
import { deno } from './deno.ts';
import { dockerfile } from './dockerfile.ts';
import { dotnet } from './dotnet.ts';
import { elixir } from './elixir.ts';
import { go } from './go.ts';
import { java } from './java.ts';
import { node } from './node.ts';
import { php } from './php.ts';
import { python } from './python.ts';
import { ruby } from './ruby.ts';
import { rust } from './rust.ts';
import { staticSite } from './static.ts';

/**
 * What a person wrote for containers comes first. Apps of other languages often have a package.json for their assets, and
 * hardly ever the other way round; Node.js stands before Python, whose files also serve as scripts; index.html is in so many
 * repositories that it is last.
 */
export const DETECTORS: readonly Detector[] = [
  dockerfile,
  go,
  rust,
  java,
  dotnet,
  elixir,
  ruby,
  php,
  deno,
  node,
  python,
  staticSite,
];
