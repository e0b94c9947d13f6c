import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Needs } from './access.js';
import { API_PORTS, type ApiPorts } from './ports.js';

@Controller('health')
export class HealthController {
  constructor(@Inject(API_PORTS) private readonly ports: ApiPorts) {}

  /** The process runs and answers. */
  @Get('live')
  @Needs('nothing')
  live() {
    return { status: 'ok' };
  }

  /** It can do its work; what cannot is named. */
  @Get('ready')
  @Needs('nothing')
  async ready(@Res({ passthrough: true }) reply: FastifyReply) {
    const notReady = await this.ports.notReady();
    const ready = Object.keys(notReady).length === 0;
    reply.code(ready ? 200 : 503).header('Cache-Control', 'no-store');
    return { status: ready ? 'ok' : 'not-ready', notReady };
  }
}
