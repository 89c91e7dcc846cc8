/** A step of a deployment as the hub stores, shows and streams it. */
import { z } from 'zod';
import { ErrorReport } from '../../protocol/errors.ts';
import { Timestamp } from '../../protocol/ids.ts';
import { StepName, StepStatus } from '../../protocol/steps.ts';

export const Step = z.object({
  name: StepName,
  status: StepStatus,
  startedAt: Timestamp,
  ms: z.number().nullable(),
  note: z.string().nullable(),
  output: z.unknown().nullable(),
  error: ErrorReport.nullable(),
});
export type Step = z.infer<typeof Step>;
