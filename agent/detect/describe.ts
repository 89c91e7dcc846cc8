/** Describes a build plan line by line, for deployment logs and the command line. */
import type { BuildPlan } from '../../protocol/steps.ts';

export function describePlan(plan: BuildPlan): string[] {
  const { origin, path, text } = plan.dockerfile;
  const names = Object.keys(plan.buildArgs ?? {});
  return [
    `${plan.framework} (${plan.runtime}), detected as ${plan.detector} (${plan.confidence})`,
    ...plan.evidence.map(({ subject, value, from }) => `${subject}: ${value} (${from})`),
    ...plan.warnings.map((warning) => `warning: ${warning}`),
    ...(origin === 'repository'
      ? [`building the repository's own ${path}${details(plan)}`]
      : [
          ...(names.length === 0 ? [] : [`${publicOnes(names.length)} into the build: ${names.join(', ')}`]),
          'generated Dockerfile:',
          ...text
            .trimEnd()
            .split('\n')
            .map((line) => `  ${line}`),
        ]),
  ];
}

const publicOnes = (count: number): string => (count === 1 ? '1 public variable goes' : `${count} public variables go`);

const details = ({ target, buildArgs = {} }: BuildPlan): string => {
  const names = Object.keys(buildArgs);
  return [
    target === undefined ? '' : `, stage ${target}`,
    names.length === 0 ? '' : `, with the build args ${names.join(', ')}`,
  ].join('');
};
