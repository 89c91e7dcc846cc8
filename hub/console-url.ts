/** The console's page of a deployment: where a person follows it. */
export const consoleUrl = (hubUrl: string, deploymentId: string): string => `${hubUrl}/deployments/${deploymentId}`;
