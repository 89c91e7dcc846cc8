/** What routes take from their path. Bounded, not checked for shape: what names nothing is answered as not found. */
import { z } from 'zod';

const reference = z.string().min(1).max(100);

export const IdParams = z.object({ id: reference });
export const ProjectParams = z.object({ project: reference.describe('slug or id') });
export const EnvironmentParams = ProjectParams.extend({ environment: reference.describe('slug or id') });
