import { serve } from '../api.ts'
import { graphqlSse, testsOf } from './plainClient.ts'
import { scene } from './scene.ts'

const s = await scene()
const { url } = await serve(s)

testsOf('graphql-sse with its default options', s, url, (place) => graphqlSse(place))
