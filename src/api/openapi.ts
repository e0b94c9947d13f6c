import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
export const installOpenApi = (app: NestFastifyApplication, _registries: object): void => {
  const document: OpenAPIObject = { openapi: '3.1.0', info: { title: 'Lethe', version: '0' }, paths: {} };
  SwaggerModule.setup('docs', app, document, { jsonDocumentUrl: 'openapi.json', raw: ['json'] });
};
