/** Base images of generated Dockerfiles, by kind. */
import { z } from 'zod';

const ImageName = z
  .string()
  .max(300)
  .regex(/^[a-z0-9][A-Za-z0-9._:/@-]*$/, 'an image name');

/**
 * Base image per kind: a version line with security support that Debian 13 packages too, so that a host without a
 * registry can build the same (docs/analyze.md has the dates). A host may use its own mirror for any kind.
 */
export const BaseImages = z.object({
  node: ImageName.default('node:26-trixie-slim'),
  python: ImageName.default('python:3.13-slim-trixie'),
  go: ImageName.default('golang:1.27-trixie'),
  rust: ImageName.default('rust:1.96-slim-trixie'),
  ruby: ImageName.default('ruby:3.3-slim-trixie'),
  php: ImageName.default('php:8.4-apache-trixie'),
  composer: ImageName.default('composer:2'),
  /** A JDK to build with, and the JRE to run with. */
  java: ImageName.default('eclipse-temurin:25-jdk'),
  jre: ImageName.default('eclipse-temurin:25-jre'),
  elixir: ImageName.default('elixir:1.18-slim'),
  /** Its packages include the .NET SDK and runtime. */
  ubuntu: ImageName.default('ubuntu:24.04'),
  static: ImageName.default('nginx:1.30-trixie'),
  debian: ImageName.default('debian:trixie-slim'),
});
export type BaseImages = z.infer<typeof BaseImages>;

/** Version in the tag of an image name: `node:26-trixie-slim` → `26`. Null if there is none. */
export function imageVersion(name: string): string | null {
  return /:v?(\d+(?:\.\d+)*)(?:-[A-Za-z0-9._-]+)?$/.exec(name)?.[1] ?? null;
}

/** The same image name with another version in its tag: `node:26-trixie-slim` → `node:24-trixie-slim`. */
export function withVersion(name: string, version: string): string {
  return name.replace(/:(v?)\d+(?:\.\d+)*(-[A-Za-z0-9._-]+)?$/, `:$1${version}$2`);
}

/**
 * The same image name without our Debian release. All versions are published under such a name, but under the name with
 * the release only since then: `rust:1.80-slim` exists, `rust:1.80-slim-trixie` does not.
 */
export function withoutRelease(name: string): string {
  return name.replace(/-trixie(?=-|$)/, '');
}
