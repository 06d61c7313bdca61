/**
 * The process of the backend: `npm start`.
 *
 * @module
 */
import { listenOn, runProcess } from './process.ts'

await runProcess({
  load: () => import('./app.ts'),
  async listen(app, { HOST, PORT, DOCS_DIR }) {
    const url = await listenOn(app, HOST, PORT, 'PORT')
    return `
  Data20 serves ${DOCS_DIR}

    ${url}/           what this is
    ${url}/docs       the API, to try in the browser
    ${url}/metrics    what Prometheus sees, your own requests included

  Ctrl-C stops it.
`
  },
})
