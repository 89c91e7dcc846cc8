/** Names of the images that generated Dockerfiles start from, by kind. */
import { z } from 'zod';

const ImageName = z
  .string()
  .max(300)
  .regex(/^[a-z0-9][A-Za-z0-9._:/@-]*$/, 'an image name');

/** Base image per kind. A host may point each at its own registry mirror; what is absent keeps its default. */
export const BaseImages = z.object({
  node: ImageName.default('node:24-bookworm-slim'),
  python: ImageName.default('python:3.11-slim-bookworm'),
  go: ImageName.default('golang:1.19-bookworm'),
  static: ImageName.default('nginx:1.22-bookworm'),
  debian: ImageName.default('debian:bookworm-slim'),
});
export type BaseImages = z.infer<typeof BaseImages>;
