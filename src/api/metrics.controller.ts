import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Needs } from './access.js';
import { API_PORTS, type ApiPorts } from './ports.js';

/**
 * For Prometheus. It takes the right `read`, unlike the health of a process: routes, their errors and how much there is tell a stranger more
 * than that something lives, and a scraper can send a key where a probe often cannot.
 */
@Controller('metrics')
export class MetricsController {
  constructor(@Inject(API_PORTS) private readonly ports: ApiPorts) {}

  @Get()
  @Needs('read')
  async metrics(@Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    const { contentType, text } = await this.ports.metrics();
    reply.header('Content-Type', contentType).header('Cache-Control', 'no-store');
    return text;
  }
}
