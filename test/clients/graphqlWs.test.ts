import { serve } from '../api.ts'
import { graphqlWs, recommended, testsOf } from './plainClient.ts'
import { scene } from './scene.ts'

const s = await scene()
const { url } = await serve(s)

testsOf('graphql-ws with its default options', s, url, (place) => graphqlWs(place))
testsOf('graphql-ws with the options that docs/protocol.md recommends', s, url, (place) =>
  graphqlWs(place, recommended.graphqlWs),
)
