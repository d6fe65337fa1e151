import { graphql } from 'relay-runtime'

// What relay.test.ts sends. Relay's compiler reads this file and makes test/generated/relay/ of it; nobody runs it.

graphql`
  query relayEnrollmentQuery($id: ID!) {
    enrollment(id: $id) { id version completedLessonCount percent progress { nodes { id status resets } } }
  }
`

graphql`
  mutation relayCompleteMutation($input: CompleteLessonInput!) {
    completeLesson(input: $input) {
      __typename
      ... on CompleteLessonPayload {
        version
        replayed
        enrollment { id version completedLessonCount percent }
        lessonProgress { id status resets lesson { id } }
      }
      ... on DomainError { code message }
      ... on PrerequisiteNotMet { lessons { id title } }
    }
  }
`

// With `... on DomainError`, Relay would warn that an optimistic response has no code and no message.
graphql`
  mutation relayOptimisticMutation($input: CompleteLessonInput!) @raw_response_type {
    completeLesson(input: $input) {
      __typename
      ... on CompleteLessonPayload {
        version
        enrollment { id version completedLessonCount percent }
      }
      ... on PrerequisiteNotMet { code message }
      ... on Busy { code message retryAfterMs }
    }
  }
`

graphql`
  subscription relayWatchSubscription($id: ID!, $after: Cursor) {
    enrollmentUpdates(enrollmentId: $id, after: $after) {
      __typename
      ... on EnrollmentSnapshot {
        reason
        cursor
        version
        enrollment { id version completedLessonCount percent }
        progress { id status resets }
      }
      ... on EnrollmentChange {
        kind
        cursor
        version
        enrollment { id version completedLessonCount percent }
        lessonProgress { id status resets }
      }
      ... on SubscriberTooSlow { cursor }
    }
  }
`

graphql`
  query relayPlanQuery($id: ID!) {
    plan(id: $id) { id version title workouts { nodes { id title selection { id currentPlanDay } } } }
  }
`

graphql`
  mutation relaySelectMutation($input: UpdateSelectionInput!) {
    updateSelection(input: $input) {
      __typename
      ... on UpdateSelectionPayload {
        version
        replayed
        plan { id version title }
        workout { id title selection { id currentPlanDay } }
        selection { id currentPlanDay }
      }
      ... on DomainError { code message }
    }
  }
`

graphql`
  query relayLevelQuery($userId: ID!, $specialization: String!) {
    specializationProgress(userId: $userId, specialization: $specialization) { id version currentLevel totalXp }
    license(userId: $userId, specialization: $specialization) { id currentLevel maxAchievedLevel }
  }
`

graphql`
  mutation relayLevelMutation($input: UpdateLevelInput!) {
    updateLevel(input: $input) {
      __typename
      ... on UpdateLevelPayload {
        version
        replayed
        progress { id version currentLevel totalXp }
        license { id currentLevel maxAchievedLevel }
        progressions { id version from to }
      }
      ... on DomainError { code message }
    }
  }
`

graphql`
  query relayCourseQuery($slug: String!) {
    course(slug: $slug) { id ...relayLessons_course }
  }
`

graphql`
  fragment relayLessons_course on Course
    @refetchable(queryName: "relayLessonsPageQuery")
    @argumentDefinitions(first: { type: "Int", defaultValue: 2 }, after: { type: "String" }) {
    lessons(first: $first, after: $after) @connection(key: "relayLessons_lessons") {
      totalCount
      edges { node { id title } }
      pageInfo { endCursor hasNextPage }
    }
  }
`

graphql`
  query relayEverythingQuery {
    viewer {
      id
      enrollments {
        edges {
          node {
            id
            learner { id }
            course { id lessons { edges { node { id contents { nodes { id } } } } } }
            progress { edges { node { id lesson { id } enrollment { id } } } }
            completions { nodes { id } }
          }
        }
      }
      plans { edges { node { id owner { id } workouts { nodes { id plan { id } selection { id workout { id } } } } } } }
      specializationProgress { edges { node { id user { id } specialization { id levels { id } } } } }
      licenses { edges { node { id user { id } progressions { nodes { id } } } } }
    }
  }
`

graphql`
  query relayNodesQuery($ids: [ID!]!) {
    nodes(ids: $ids) { __typename id }
  }
`
