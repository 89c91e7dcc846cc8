/** All detectors. With equal confidence, the earlier one wins. */
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
 * Dockerfiles come first, as explicit instructions. Apps in other languages often have a package.json for their assets,
 * but rarely vice versa; Node.js comes before Python, whose files are often just scripts; index.html is so common that
 * it comes last.
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
